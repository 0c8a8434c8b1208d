"""glTF 2.0, binary or text, from untrusted sources."""
