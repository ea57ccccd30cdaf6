"""From files of samples to pages that draw them, each complete in itself."""
