"""Whether a SavedModel is what `ser export` checked, and can do nothing but compute.

A SavedModel is a program: it can read and write any file that its server can. So before one is
loaded, its files have to have the hashes that `ser export` wrote beside them, and its graph may
hold only operations of a list. Hashes tell damage and later changes; they are no signature, since
whoever makes a model can write them. What a stranger's model may do is decided by the list.
"""
