// The CUDA backend: one device, one stream, and a second for the branch of a step. Its arithmetic is in *.cu,
// in cuDNN and in cuBLAS. A function that only launches kernels stands with them in their .cu file
// (pooling.cu); those that several functions use are behind kernels.h.
//
// Everything is enqueued; a kernel's scratch and the libraries' workspaces are allocated when a shape is met
// for the first time, so that a step that has run once can be captured. Not for use from several threads;
// several backends, one per thread, share a device.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <shared_mutex>
#include <string>
#include <vector>

#include "engine/cpu/thread_pool.h"
#include "engine/cuda/cublas.h"
#include "engine/cuda/cuda.h"
#include "engine/cuda/cudnn/graphs.h"
#include "engine/cuda/handles.h"
#include "engine/cuda/kernels.h"
#include "engine/cuda/staging_ring.h"

namespace retort {

class NcclSum;

class Cuda final : public Backend {
 public:
  explicit Cuda(const CudaOptions& options);
  ~Cuda() override;

  std::string name() const override { return "cuda"; }
  std::string description() const override;
  void keep_plans(const std::string& folder) override;

  // memory.cpp
  void* allocate(size_t bytes) override;
  void release(void* data, size_t bytes) override;
  bool host_addressable() const override { return false; }
  void upload(const Tensor& to, const void* host) override;
  void download(void* host, const Tensor& from) override;
  void synchronise() override;
  void run_on_host(int64_t tasks, const std::function<void(int64_t i)>& task) override;
  void set_scalar(const Tensor& scalar, double value) override;
  void fill(const Tensor& to, double value) override;
  void copy(const Tensor& from, const Sink& to) override;

  // convolution.cpp
  void conv2d(const Tensor& x, const Tensor& w, const Conv2dSpec& spec, const ConvEpilogue& epilogue,
              const Tensor& y) override;
  void conv2d_input_gradient(const Tensor& dy, const Tensor& w, const Conv2dSpec& spec,
                             const Sink& dx) override;
  void conv2d_weight_gradient(const Tensor& x, const Tensor& dy, const Conv2dSpec& spec,
                              const Sink& dw) override;

  // batch_norm.cpp
  void batch_norm_train(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& add,
                        const BatchNormSpec& spec, const Tensor& running_mean, const Tensor& running_var,
                        const Tensor& mean, const Tensor& inverse_std, const Tensor& y) override;
  void batch_norm_apply(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& add,
                        const BatchNormSpec& spec, const Tensor& mean, const Tensor& inverse_std,
                        const Tensor& y) override;
  void batch_norm_gradient(const Tensor& x, const Tensor& y, const Tensor& dy, const Tensor& gamma,
                           const BatchNormSpec& spec, const Tensor& mean, const Tensor& inverse_std,
                           bool batch_statistics, const Sink& dx, const Sink& dgamma, const Sink& dbeta,
                           const Sink& dadd) override;
  void inverse_std(const Tensor& var, double eps, const Tensor& to) override;

  // pooling.cu
  void pool2d(const Tensor& x, const Pool2dSpec& spec, const Tensor& y, const Tensor& argmax) override;
  void pool2d_gradient(const Tensor& dy, const Pool2dSpec& spec, const Tensor& argmax,
                       const Sink& dx) override;
  void global_average(const Tensor& x, const Tensor& y) override;
  void global_average_gradient(const Tensor& dy, const Sink& dx) override;

  // elementwise.cpp
  void matmul(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b, const Tensor& bias,
              const Sink& c) override;
  void linear_weight_gradient(const Tensor& x, const Tensor& dy, const Sink& dw, const Sink& dbias) override;
  void transpose(const Tensor& x, const Sink& y) override;
  void unary(const UnaryOp& op, const Tensor& x, const Sink& y) override;
  void unary_gradient(const UnaryOp& op, const Tensor& x, const Tensor& y, const Tensor& dy,
                      const Sink& dx) override;
  void binary(Binary op, const Tensor& a, const Tensor& b, const Sink& y) override;
  void reduce_sum(const Tensor& x, double scale, const Sink& to) override;
  void scale_by(const Tensor& x, const Tensor& scalar, double factor, const Sink& y) override;
  void add_to_total(const Tensor& x, double factor, const Tensor& total) override;
  void add_rows_to_totals(const Tensor& x, const double* factors, const Tensor& totals) override;
  void copy_columns(const Tensor& from, int64_t from_first, const Sink& to, int64_t to_first,
                    int64_t count) override;
  void launch_rows(const RowKernel& rows_kernel, const void* kernel, size_t kernel_bytes, int64_t rows,
                   int64_t scratch_bytes) override;
  void sgd(const Tensor& w, const Tensor& g, const Tensor& v, const Tensor& lr, double momentum,
           double weight_decay) override;

  void cast(const Tensor& from, const Sink& to) override;
  void update_loss_scale(const Tensor& gradients, const Tensor& rounded_gradients,
                         const Tensor& state) override;
  void mixed_sgd(const MixedWeights& weights, const Tensor& lr, double momentum, double weight_decay,
                 const Tensor& state) override;
  void scaled_sgd(const Tensor& w, const Tensor& g, const Tensor& v, const Tensor& lr, double momentum,
                  double weight_decay, const Tensor& state) override;

  // processes.cpp
  std::shared_ptr<DeviceSum> sum_over(Communicator& world);

  // capture.cpp
  bool can_branch() const override { return true; }
  void begin_branch() override;
  void end_branch() override;
  void join_branch() override;
  bool can_capture() const override { return options_.capture; }
  void begin_capture() override;
  int end_capture() override;
  void replay(int graph) override;
  void release_graph(int graph) override;

 private:
  // A stream and what work on it needs for itself. Blocks of scratch that became too small are kept, since
  // captured steps use them.
  struct Lane {
    Lane(const CudaOptions& options, Memory& memory);
    CudaStream stream;
    std::vector<DeviceMemory> scratch;
    DeviceMemory tickets;  // of kernels whose last block goes on; zeros between kernels
    DeviceMemory cublas_workspace;
    Cublas cublas;
    CudnnGraphs cudnn;
  };
  cudaStream_t stream() const { return lane_->stream.get(); }
  bool programmatic() const { return programmatic_; }
  unsigned* tickets() const { return static_cast<unsigned*>(lane_->tickets.data()); }
  // Memory for the partial sums of the next kernel; what was given before may be overwritten by it.
  void* scratch(size_t bytes);
  void forbid_in_capture(const char* operation) const;
  // Ends a capture that an error left open; nothing otherwise. Throws nothing.
  void abandon_capture();
  // For all that is enqueued. Throws nothing.
  void wait_quietly() const;
  // Of several processes, where a lost one would be waited for: throws Error(Fault::lost). See
  // NcclSum::wait().
  void wait_for_processes(const std::function<cudaError_t()>& ask) const;
  struct UploadFence : CudaFence {
    const Cuda* cuda;
    explicit UploadFence(const Cuda* owner) : cuda(owner) {}
    void wait() {
      cuda->wait_for_processes([this] { return query(); });
      CudaFence::wait();
    }
  };

  CudaOptions options_;
  cudaDeviceProp device_;
  CooperativeTurn cooperative_;
  bool programmatic_;
  bool capturing_ = false;
  std::shared_lock<std::shared_mutex> capture_turn_;  // while capturing, see capture_turn.h
  std::unique_ptr<ThreadPool> host_threads_;  // once there was work for them
  // Streams outlive the fences that were recorded in them.
  Lane* lane_ = nullptr;  // where work is enqueued; null: nowhere yet, or no more
  Lane main_;
  std::unique_ptr<Lane> branch_;  // made when the first branch begins
  // Host memory that uploads go through.
  struct Staging {
    Staging(const Cuda* owner, size_t slots);
    size_t bytes;
    PinnedMemory memory;
    StagingRing<UploadFence, cudaStream_t> ring;
  };
  std::unique_ptr<Staging> staging_;
  CudaFence fork_, end_of_branch_;
  std::shared_ptr<NcclSum> sum_;  // NCCL wants it to outlive the graphs that it is in
  std::map<int, CudaGraph> graphs_;
  int next_graph_ = 0;
};

}  // namespace retort
