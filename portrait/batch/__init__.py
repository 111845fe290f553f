"""Folders of clips: which clips there are, who fits them (processes here, or Ray), what is told and written of it."""
