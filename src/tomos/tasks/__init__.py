"""What is predicted: target, decode, score, draw, and the *name* of its loss. One file per task:
classify, segment, detect, generate
"""
