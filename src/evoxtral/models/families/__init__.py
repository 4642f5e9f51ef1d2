"""What differs between kinds of models: one module a family, which engines and training read alike.

A new family is a module here that defines `FAMILY`, and its tests. `protocol` says what it must offer.
"""
