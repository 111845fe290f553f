"""What generators minimise: losses by name, a function or a module each, and objectives made of them.

To add one, write a file here that says ``LOSSES.add("my-loss", Loss.of(my_function))``; see `losses.base`.
"""
