// A random permutation of 0 to n - 1 that is computed place by place: drawing without replacement without a
// list.
#pragma once
#include <cstdint>

#include "engine/random.h"

namespace retort {

// A balanced Feistel network of four rounds over the smallest 2^(2h) >= n, walked on until it falls below n
// (Black, Rogaway, "Ciphers with Arbitrary Finite Domains", 2002). The keys are four random words.
class KeyedPermutation {
 public:
  RETORT_HD KeyedPermutation(uint32_t n, const Random4& keys) : n_(n), half_(1), keys_(keys) {
    while ((uint64_t(1) << (2 * half_)) < n) ++half_;
  }

  // Where place i < n goes.
  RETORT_HD uint32_t operator()(uint32_t i) const {
    const uint32_t mask = (uint32_t(1) << half_) - 1;
    do {
      uint32_t left = i >> half_, right = i & mask;
      for (uint32_t key : keys_.v) {
        const uint32_t next = left ^ (mixed(right ^ key) & mask);
        left = right;
        right = next;
      }
      i = left << half_ | right;
    } while (i >= n_);
    return i;
  }

 private:
  // The finaliser of MurmurHash3.
  static RETORT_HD uint32_t mixed(uint32_t x) {
    x = (x ^ x >> 16) * 0x85EBCA6Bu;
    x = (x ^ x >> 13) * 0xC2B2AE35u;
    return x ^ x >> 16;
  }

  uint32_t n_;
  int half_;
  Random4 keys_;
};

}  // namespace retort
