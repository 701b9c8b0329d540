"""Dataset + model -> figures with intervals, subgroups, calibration, failures; the HTML report"""
