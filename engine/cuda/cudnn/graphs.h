// CudnnGraphs: convolutions and batch norms as graphs of cuDNN 9, planned once per problem and kept.
//
// Every call enqueues on one stream and returns true, or returns false, having enqueued nothing, where cuDNN
// has no engine for the problem under the options (types, shapes, deterministic, math): the caller then runs
// its own kernel. The formulas and the meaning of the arguments are those of backend.h. Tensors are N,H,W,C
// and K,R,S,C of f32, f16 or bf16 (all images and weights of one call of the same type), in device memory; a
// convolution's bias has their type or f32 (converted at every call); batch norm's parameters and statistics
// are f32. Products are summed in f32. Channels that an engine wants aligned are padded in the workspace,
// never in the tensor.
//
// The first call of a problem plans it: from the folder of plans, else by cuDNN's heuristics. So a step is
// run once before it is captured; inside a capture a problem that has no plan yet, or needs more workspace
// than there is, throws Error(Fault::internal). The workspace of a captured graph is never freed while this
// object lives, so graphs captured earlier stay valid when a later problem needs more.
//
// cuDNN's graph API is used directly, so cudnn.h is all that a build needs: through the cudnn-frontend
// headers the program would need a second, shared CUDA runtime and a JSON library to load a plan.
//
// Not for use from several threads. Several objects (one per stream) are independent of each other.
#pragma once
#include <memory>
#include <string>

#include "engine/arena.h"
#include "engine/backend.h"
#include "engine/cuda/cudnn/options.h"

struct CUstream_st;  // cudaStream_t is a pointer to it

namespace retort {

class CudnnGraphs {
 public:
  // Loads cuDNN. memory: where the workspace comes from (the backend itself); it and the stream must outlive
  // this object. Throws Error(Fault::device) if the library is missing, of a version not supported, or the
  // device cannot be used; the message says what to install.
  CudnnGraphs(const CudnnOptions& options, Memory& memory, CUstream_st* stream);
  ~CudnnGraphs();
  CudnnGraphs(const CudnnGraphs&) = delete;
  CudnnGraphs& operator=(const CudnnGraphs&) = delete;

  std::string description() const;  // "cuDNN 9.19.0"

  bool conv_forward(const Tensor& x, const Tensor& w, const Conv2dSpec& spec, const ConvEpilogue& epilogue,
                    const Tensor& y);
  bool conv_input_gradient(const Tensor& dy, const Tensor& w, const Conv2dSpec& spec, const Sink& dx);
  // dw may be f32 where x and dy are 16 bit (master gradients).
  bool conv_weight_gradient(const Tensor& x, const Tensor& dy, const Conv2dSpec& spec, const Sink& dw);

  // As Backend::batch_norm_train. The engines are compiled at the first call (seconds), and need ReLU where
  // there is a residual.
  bool batch_norm_train(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& add,
                        const BatchNormSpec& spec, const Tensor& running_mean, const Tensor& running_var,
                        const Tensor& mean, const Tensor& inverse_std, const Tensor& y);
  // As Backend::batch_norm_gradient; false under ReLU (cuDNN wants a mask made by its own forward pass),
  // where dx, dgamma or dbeta are accumulated, or where statistics are not those of the batch.
  bool batch_norm_gradient(const Tensor& x, const Tensor& y, const Tensor& dy, const Tensor& gamma,
                           const BatchNormSpec& spec, const Tensor& mean, const Tensor& inverse_std,
                           bool batch_statistics, const Sink& dx, const Sink& dgamma, const Sink& dbeta,
                           const Sink& dadd);

  // Writes the plans in use, and those to come, into a run's folder too; see CudnnOptions::plans_of_run.
  void keep_plans(const std::string& folder);

  // For logs and tests.
  struct Counters {
    int planned = 0;       // problems planned by cuDNN's heuristics (and measured, if tuning)
    int read = 0;          // problems whose plan came from the folder
    int refused = 0;       // problems for which cuDNN has no engine
    size_t workspace = 0;  // bytes held
  };
  Counters counters() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace retort
