"""Metrics in numpy; `measures/losses/` in torch; statistics: intervals, paired tests, calibration.

classification  what follows from decisions: the confusion matrix and all that is read off it
ranking         what follows from the order of scores: AUROC, average precision, curves
calibration     temperature, vector, isotonic; reliability, ECE, Brier, log loss
operating       the threshold, chosen on validation, and why
usefulness      PPV and NPV at a prevalence, decision curve
intervals       bootstrap over patients, Wilson, spread over seeds
comparison      two models on the same cases: DeLong, McNemar, permutation, Holm
segmentation    masks beside masks: Dice, IoU, HD95, NSD, volumes and lesions of every label
components      connected parts of a label: counted, the largest kept, small ones removed
lesions         how many parts of one mask are found in the other
voxel_ranking   AUROC over voxels
overlap, surface_distance, nearest  what `segmentation` is made of
"""
