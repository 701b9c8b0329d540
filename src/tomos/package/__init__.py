"""the only reader and writer of `model.tomos`: manifest, checks, limits. zip + numpy"""
