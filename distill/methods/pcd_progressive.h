// A variant of PCD of our own, not the paper's: the stages advance over the epochs. The paper's words, fine
// to coarse and then coarse to fine, suggest a progress; its formulas and the released code do all stages in
// every step.
// Cost: +0.09 ms on kd (README.md).
#pragma once
namespace retort {

// Into how many groups the classes are cut in an epoch (from 1) of `epochs`: S, S - 1, .., 1 over the first
// half of the training, 1, .., S over the second, each for as many epochs as the others where 2 S divides
// epochs. epochs 0: as in the first epoch.
int progressive_groups(int epoch, int epochs, int stages);

}  // namespace retort
