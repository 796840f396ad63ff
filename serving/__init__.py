"""One SavedModel that takes raw speech: export, a development server, a client."""
