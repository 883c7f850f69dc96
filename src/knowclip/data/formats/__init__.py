"""Caption formats, a file each: what their files say, record by record; no image is touched here."""
