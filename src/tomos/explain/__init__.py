"""Why: class activation, gradients, occlusion, attention, similar cases, uncertainty; every map is
an `Image` on the patient's own grid
"""
