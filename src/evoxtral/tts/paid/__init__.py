"""What all services that speak for money have in common: keys, budgets, retries, checks of what they send.

Each service is a package beside this one; nothing here knows any of them.
"""
