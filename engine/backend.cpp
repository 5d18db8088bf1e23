#include "engine/backend.h"

namespace retort {

void check_matmul(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b, const Tensor& bias,
                  const Tensor& c) {
  const Shape &sa = a.shape, &sb = b.shape, &sc = c.shape;
  check(sa.rank() == 2 && sb.rank() == 2 && sc.rank() == 2 && sa[transpose_a ? 1 : 0] == sc[0] &&
            sb[transpose_b ? 0 : 1] == sc[1] && sa[transpose_a ? 0 : 1] == sb[transpose_b ? 1 : 0] &&
            (!bias || bias.size() == sc[1]),
        "matmul: a ", sa, transpose_a ? " transposed" : "", ", b ", sb, transpose_b ? " transposed" : "",
        ", c ", sc, bias ? " and the bias" : "", " do not belong together");
}

}  // namespace retort
