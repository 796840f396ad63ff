"""Attention maps out of models, and numbers of them."""
