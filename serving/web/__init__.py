"""The web page that records and recognises."""
