"""TensorFlow Serving's REST interface, on the HTTP server of waitress."""
