"""How the server's ports are protected."""
