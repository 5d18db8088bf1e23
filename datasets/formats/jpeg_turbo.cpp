#include "datasets/formats/jpeg_turbo.h"

#include <jpeglib.h>
#include <algorithm>
#include <csetjmp>
#include <cstdio>

#include "engine/base/check.h"

namespace retort {
namespace {

// The smoothing of half-sized colours looks at neighbours: pixels this far inside of what is decoded are
// those of the whole picture.
constexpr int margin = 2;

// The library leaves its functions by longjmp: it starts and ends in the functions of this class, in whose
// frames nothing waits to be destroyed. Each is false where it failed.
class Decompression {
 public:
  Decompression() {
    info_.err = jpeg_std_error(&errors_);
    info_.client_data = this;
    errors_.error_exit = [](j_common_ptr info) { of(info).leave(); };
    errors_.emit_message = [](j_common_ptr info, int level) {
      if (level < 0) of(info).leave();  // a warning: what is decoded then is not what the file was made of
    };
  }
  ~Decompression() { jpeg_destroy_decompress(&info_); }
  Decompression(const Decompression&) = delete;
  Decompression& operator=(const Decompression&) = delete;

  // Ready to give rows of (at least) the columns left to right - 1, from row `top` on.
  bool begin(std::span<const uint8_t> stream, int height, int width, int top, int left, int right) {
    if (setjmp(back_)) return false;
    jpeg_create_decompress(&info_);
    jpeg_mem_src(&info_, stream.data(), static_cast<unsigned long>(stream.size()));
    jpeg_read_header(&info_, TRUE);
    // Which pixels come out: those that Pillow asks for.
    info_.out_color_space = JCS_RGB;
    info_.dct_method = JDCT_ISLOW;
    info_.do_fancy_upsampling = TRUE;
    jpeg_start_decompress(&info_);
    if (info_.output_height != JDIMENSION(height) || info_.output_width != JDIMENSION(width)) return false;
    first_column_ = 0;
    if (left > 0 || right < width) {
      JDIMENSION from = JDIMENSION(left), columns = JDIMENSION(right - left);
      jpeg_crop_scanline(&info_, &from, &columns);
      first_column_ = int(from);
    }
    return top == 0 || jpeg_skip_scanlines(&info_, JDIMENSION(top)) == JDIMENSION(top);
  }

  int first_column() const { return first_column_; }
  int columns() const { return int(info_.output_width); }

  // Rows, and behind them room for one more.
  bool read(int rows, uint8_t* to) {
    if (setjmp(back_)) return false;
    const int64_t stride = 3 * int64_t(info_.output_width);
    for (row_ = 0; row_ < rows; ++row_) {
      JSAMPROW line = to + row_ * stride;
      if (jpeg_read_scanlines(&info_, &line, 1) != 1) return false;
    }
    spare_ = to + rows * stride;
    return true;
  }

  // What follows the rows that were read, up to the end mark: whether a file is damaged is the file's,
  // whatever part of it is wanted. Of skipped rows the library decodes the coefficients alone; asked to skip
  // the last one it looks at none.
  bool finish() {
    if (setjmp(back_)) return false;
    const JDIMENSION below = info_.output_height - info_.output_scanline;
    if (below > 1 && jpeg_skip_scanlines(&info_, below - 1) != below - 1) return false;
    if (below > 0 && jpeg_read_scanlines(&info_, &spare_, 1) != 1) return false;
    return jpeg_finish_decompress(&info_);
  }

  const char* reason() const { return reason_; }

 private:
  static Decompression& of(j_common_ptr info) { return *static_cast<Decompression*>(info->client_data); }
  [[noreturn]] void leave() {
    errors_.format_message(reinterpret_cast<j_common_ptr>(&info_), reason_);
    std::longjmp(back_, 1);
  }

  jpeg_decompress_struct info_{};
  jpeg_error_mgr errors_{};
  std::jmp_buf back_;
  char reason_[JMSG_LENGTH_MAX] = "it has other sizes than its header says";
  int first_column_ = 0, row_ = 0;
  JSAMPROW spare_ = nullptr;
};

}  // namespace

bool turbo_built() {
  return true;
}

PixelView decode_with_turbo(std::span<const uint8_t> stream, int height, int width, const Box& window,
                            const std::string& name, std::vector<uint8_t>& pixels) {
  const int top = std::max(0, window.top - margin),
            bottom = std::min(height, window.top + window.height + margin);
  const int left = std::max(0, window.left - margin),
            right = std::min(width, window.left + window.width + margin);
  Decompression decompression;
  bool good = decompression.begin(stream, height, width, top, left, right);
  if (good) {
    const size_t bytes = size_t(bottom - top + 1) * size_t(decompression.columns()) * 3;
    if (pixels.capacity() < bytes) std::vector<uint8_t>().swap(pixels);  // never two in memory
    pixels.resize(bytes);
    good = decompression.read(bottom - top, pixels.data()) && decompression.finish();
  }
  check(good, Fault::input, name, ": damaged JPEG file: ", decompression.reason());
  const PixelView decoded{pixels.data(), bottom - top, decompression.columns(),
                          3 * int64_t(decompression.columns())};
  return decoded.part(
      {window.top - top, window.left - decompression.first_column(), window.height, window.width});
}

}  // namespace retort
