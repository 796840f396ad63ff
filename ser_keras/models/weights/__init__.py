"""Pretrained weights of other projects' files, converted for the models here."""
