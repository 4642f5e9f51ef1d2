"""The metrics of the bench, one module each: what it counts in a clip, and which figures it makes of the totals.

`registry.METRICS` lists them; scores, reports and tables read that list. A new metric is a module here, its line in
the registry and its test.
"""
