#include "model/residual.hpp"

namespace switchyard::model {

tensor::Matrix Residual::apply(const nn::Pass& of_model) {
  trace_.clear();
  const nn::Pass pass = own(of_model);
  pass.clock.enter(Phase::other);
  const tensor::Matrix y = body_->forward(pass, norm_.forward(pass, x_));
  pass.clock.enter(Phase::other);
  if (drops(pass)) ops::dropout(pass.context, dropout_, pass.batch.step, pass.batch.ids, y, y);
  ops::add(pass.context, x_, y);
  return y;
}

// To the gradient of what the norm was given. d stays as it is: the body's last layer, or the caller, reads it
// again.
tensor::Matrix Residual::through(const nn::Pass& of_model, tensor::Matrix d) {
  const nn::Pass pass = own(of_model);
  pass.clock.enter(Phase::other);
  if (drops(pass)) {
    const tensor::Matrix dropped = tensor::allocate_matrix(pass.workspace(), d.rows, d.cols);
    ops::dropout(pass.context, dropout_, pass.batch.step, pass.batch.ids, d, dropped);
    d = dropped;
  }
  const tensor::Matrix d_body = body_->backward(pass, d, nn::Wants::input_gradient);
  pass.clock.enter(Phase::other);
  return norm_.backward(pass, d_body, nn::Wants::input_gradient);
}

tensor::Matrix Residual::backward(const nn::Pass& pass, tensor::Matrix d) {
  if (keep_ == Keep::activations) {
    const tensor::Matrix d_x = through(pass, d);
    ops::add(pass.context, d, d_x);
    return d_x;
  }
  const device::Workspace::Mark before = pass.workspace().mark();
  (void)apply(pass);
  const tensor::Matrix d_x = through(pass, d);
  body_->reduce_gradients(pass);
  pass.clock.enter(Phase::other);
  ops::add(pass.context, d_x, d);
  pass.workspace().release(before);
  return d;
}

void Residual::reduce_gradients(const nn::Pass& pass) {
  if (keep_ == Keep::activations) body_->reduce_gradients(pass);
}

}  // namespace switchyard::model
