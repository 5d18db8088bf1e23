"""PCD's loss and gradient of one image's logits, and the same from the program `retort`."""

import json
import subprocess

import numpy as np
import retort

teacher, student = np.array([[6.0, 4, 1, 0, -1]]), np.array([[3.0, 2, 2, 0, 1]])
result = retort.loss("pcd", student, teacher, temperature=2, stages=2)
print(result.value, result.gradient)

np.save("zt.npy", teacher)
np.save("zs.npy", student)
words = "retort loss --method pcd --set temperature=2 --set stages=2 --teacher zt.npy --student zs.npy --grad g.npy --json"
said = json.loads(subprocess.check_output(words.split()))
assert said["loss"] == result.value and (np.load("g.npy") == result.gradient).all()
