"""Recipes: one YAML file per system and corpus."""
