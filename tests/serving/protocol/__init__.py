"""What the server answers, beside what TensorFlow Serving's source says it should."""
