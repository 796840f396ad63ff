"""The adapted track: what a speaker's own unlabelled recordings say, and how models get it."""
