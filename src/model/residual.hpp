// A branch of a model of tokens.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "nn/module.hpp"
#include "nn/rms_norm.hpp"
#include "nn/trace.hpp"
#include "ops/dropout.hpp"
#include "ops/rows.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::model {

// What a step keeps of a branch until it goes back through it: what its modules remember, or its input alone,
// from which they compute that once more, to the same bits.
enum class Keep { activations, inputs };

// x + dropout(body(norm(x))). Collective where the body is.
class Residual {
 public:
  struct Options {
    index_t width = 0;
    ops::Dropout dropout = {};
    Keep keep = Keep::activations;
  };
  // `norm`: the scope of its weight.
  Residual(nn::Trunk& trunk, const std::string& norm, std::unique_ptr<nn::Module> body, const Options& options)
      : norm_(trunk, norm, options.width),
        body_(std::move(body)),
        dropout_(options.dropout),
        keep_(options.keep) {}

  // Calls then() while what the body left is there. x must live until backward.
  template <class Then>
  tensor::Matrix forward(const nn::Pass& pass, tensor::ConstMatrix x, const Then& then) {
    device::Workspace& workspace = pass.workspace();
    x_ = x;
    if (keep_ == Keep::activations) {
      const tensor::Matrix y = apply(pass);
      then();
      return y;
    }
    const tensor::Matrix y = tensor::allocate_matrix(workspace, x.rows, x.cols);
    const device::Workspace::Mark before = workspace.mark();
    ops::gather_rows(pass.context, tensor::ConstMatrix(apply(pass)), y);
    then();
    workspace.release(before);
    return y;
  }
  // d: the gradient of forward's rows, which may be overwritten; to that of x. Where inputs are kept, the
  // gradients of the body's parameters are reduced at once.
  tensor::Matrix backward(const nn::Pass& pass, tensor::Matrix d);
  void reduce_gradients(const nn::Pass& pass);

  nn::Module& body() { return *body_; }
  const nn::Module& body() const { return *body_; }

 private:
  nn::Pass own(const nn::Pass& pass) {
    return {pass.context, pass.batch, pass.mode, pass.clock, &trace_, pass.past};
  }
  bool drops(const nn::Pass& pass) const { return dropout_.probability > 0 && pass.is_training(); }
  tensor::Matrix apply(const nn::Pass& pass);
  tensor::Matrix through(const nn::Pass& pass, tensor::Matrix d);

  nn::RmsNorm norm_;
  std::unique_ptr<nn::Module> body_;
  ops::Dropout dropout_;
  Keep keep_;
  nn::Trace trace_;
  tensor::ConstMatrix x_;  // of the step
};

}  // namespace switchyard::model
