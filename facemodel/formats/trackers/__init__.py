"""Other projects' trackers: their files as this project's tracks. See `facemodel.formats.trackers.base`."""
