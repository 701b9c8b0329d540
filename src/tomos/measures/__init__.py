"""Metrics in numpy; `measures/losses/` in torch; statistics: intervals, paired tests, calibration"""
