"""Random augmentation in batches, in torch."""
