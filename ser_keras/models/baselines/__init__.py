"""Models of fixed-length input that the attention FCN's paper compares with."""
