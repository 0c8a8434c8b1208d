"""The report page: content as data in, HTML out."""
