"""Images as training reads them: decoded, told apart, cached."""
