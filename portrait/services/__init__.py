"""What the project does, as functions: typed arguments in, results out, events on the way; nothing is printed.
Results say in ``lines()`` what the command line prints of them.

The command line (``portrait.commands``) calls them, and so may a viewer or a server. All of them check their options
before they read or write anything, and raise `foundation.errors.PortraitError` for what can't be used.
"""
