"""What a unit printed: the chunks that its machine uploads while it runs, read as one text."""
