"""The web page that records speech and recognises its emotions."""
