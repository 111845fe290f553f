"""Where ``portrait live`` sends what it tracks: a file here for each kind, found by name in `base.STREAMS`."""
