"""The development server: the part of TensorFlow Serving's interface that the project needs."""
