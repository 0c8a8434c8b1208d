"""Verdict3D: de-biased VLM judging and self-adaptation of single-image-to-3D generators."""
