// What the playground computes with, compiled to WebAssembly by build.sh: the engine's row kernels in f64,
// the embeddable library, and the drawings of the embedded data set. Page and kernels share the memory that
// the functions named *_at point to; nothing here is a second copy of a formula.
#include <cstdint>
#include <cstdlib>

#include "datasets/readers/figures.h"
#include "distill/methods/pcd_row.h"
#include "distill/methods/target_split_row.h"
#include "engine/infer/retort.h"
#include "engine/kernels/rows.h"

#define PAGE_CALLS(type, name) extern "C" __attribute__((export_name(#name))) type name

namespace retort {
namespace {

constexpr int most_classes = 12;
constexpr int side = 32, pixel_bytes = side * side * 3;
constexpr int most_logits = 1000;

struct Row {
  double teacher[most_classes], student[most_classes];
  double result[most_classes];  // a gradient by the student's logits, or probabilities
  int32_t order[most_classes];  // of the ranking
} row;
int32_t label;
alignas(64) char scratch[1 << 14];

retort_net* net = nullptr;
uint8_t pixels[pixel_bytes];
float image[pixel_bytes], logits[most_logits], probabilities[most_logits];

struct Here {};
template <class Kernel>
void launch(const Kernel& kernel) {
  HostLanes<Here> lanes(scratch);
  kernel(lanes, 0);
}

double kl(const double* student, const double* teacher, double* gradient, int n, double tau, double weight) {
  double loss = 0;
  launch(KlRow<double>{student, teacher, &loss, gradient, n, 1 / tau, weight});
  return loss;
}

double pcd(const double* student, const double* teacher, double* gradient, int n, int stages, bool ranked,
           double tau, double weight) {
  double loss = 0;
  launch(PcdRow<double>{student, teacher, &loss, gradient, n, 1, stages, ranked, true, 1 / tau, weight});
  return loss;
}

}  // namespace

// One sample of up to 12 classes. Losses are alpha-weighted and carry tau^2, as `retort loss` prints them;
// each leaves its gradient in result.
PAGE_CALLS(int, most_classes_of)() {
  return most_classes;
}
PAGE_CALLS(double*, teacher_at)() {
  return row.teacher;
}
PAGE_CALLS(double*, student_at)() {
  return row.student;
}
PAGE_CALLS(double*, result_at)() {
  return row.result;
}
PAGE_CALLS(int32_t*, order_at)() {
  return row.order;
}

PAGE_CALLS(void, softmax)(bool of_teacher, int n, double tau) {
  launch(SoftmaxRow<double>{of_teacher ? row.teacher : row.student, row.result, n, 1 / tau, false});
}

PAGE_CALLS(double, kd_loss)(int n, double tau, double alpha) {
  return kl(row.student, row.teacher, row.result, n, tau, alpha * tau * tau);
}

PAGE_CALLS(double, dkd_loss)(int n, int own, double tau, double alpha, double beta) {
  label = own;
  double target = 0, others = 0, gradient[most_classes];
  launch(BinaryKlRow<double>{row.student, row.teacher, &label, &target, row.result, n, false, 1 / tau,
                             alpha * tau * tau});
  launch(SubsetKlRow<double>{row.student, row.teacher, &label, &others, gradient, n, false, false, false,
                             1 / tau, beta * tau * tau});
  for (int i = 0; i < n; ++i) row.result[i] += gradient[i];
  return target + others;
}

// Both directions.
PAGE_CALLS(double, pcd_loss)(int n, int stages, double tau, double alpha) {
  return pcd(row.student, row.teacher, row.result, n, stages, true, tau, 2 * alpha * tau * tau);
}

PAGE_CALLS(void, rank)(int n) {
  HostLanes<Here> lanes(scratch);
  double* gap = lanes.scratch<double>(n);
  for (int i = 0; i < n; ++i) gap[i] = absolute(row.teacher[i] - row.student[i]);
  lanes.rank_descending(n, gap, row.order);
}

// Of ranked classes [first, first + count): KL of their softmaxes, or lambda KL.
PAGE_CALLS(double, group)(int first, int count, double tau, bool weighted) {
  double student[most_classes], teacher[most_classes];
  for (int i = 0; i < count; ++i) {
    student[i] = row.student[row.order[first + i]];
    teacher[i] = row.teacher[row.order[first + i]];
  }
  return weighted ? pcd(student, teacher, nullptr, count, 1, false, tau, 1)
                  : kl(student, teacher, nullptr, count, tau, 1);
}

// The network: its file is written to what file_at returns, then loaded once. A retort_status.
PAGE_CALLS(void*, file_at)(int bytes) {
  return std::malloc(size_t(bytes));
}
PAGE_CALLS(int, load)(const void* file, int bytes) {
  retort_info info{};
  const retort_status status = retort_inspect(file, size_t(bytes), &info);
  if (status != RETORT_OK) return status;
  if (info.height != side || info.width != side || info.channels != 3 || info.classes > most_logits)
    return RETORT_BAD_FILE;
  return retort_load(file, size_t(bytes), nullptr, &net);
}
PAGE_CALLS(int, classes)() {
  retort_info info{};
  retort_get_info(net, &info);
  return int(info.classes);
}
PAGE_CALLS(const char*, class_name)(int index) {
  return retort_class_name(net, uint32_t(index));
}

// 32 x 32 pixels of three bytes; `predict` leaves the logits, `soften` their softmax at a temperature.
PAGE_CALLS(uint8_t*, pixels_at)() {
  return pixels;
}
PAGE_CALLS(float*, logits_at)() {
  return logits;
}
PAGE_CALLS(float*, probabilities_at)() {
  return probabilities;
}
PAGE_CALLS(int, predict)() {
  const retort_status status = retort_normalise(net, pixels, 1, image);
  return status == RETORT_OK ? retort_predict(net, image, 1, logits) : status;
}
PAGE_CALLS(void, soften)(float tau) {
  launch(SoftmaxRow<float>{logits, probabilities, classes(), 1 / tau, false});
}

// A figure of a class as the embedded data set has them, without clutter.
PAGE_CALLS(void, draw)(int seed, int figure_class) {
  Draws draws(uint64_t(seed), Purpose::synthetic_test, uint32_t(figure_class));
  Canvas canvas(draws, side);
  canvas.paint(random_figure(draws, figure_class / figure_fills, figure_class % figure_fills, {16, 16}, 10.5f,
                             canvas.at(16, 16)));
  canvas.develop(draws, pixels);
}

}  // namespace retort
