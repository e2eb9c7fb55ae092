#include "nn/gradient_tree.hpp"

#include <algorithm>
#include <numeric>

#include "base/contract.hpp"
#include "device/copy.hpp"
#include "ops/reduce.hpp"

namespace switchyard::nn {
namespace {

IndexRange first_half(IndexRange node) { return {node.begin, node.begin + node.size() / 2}; }
IndexRange second_half(IndexRange node) { return {node.begin + node.size() / 2, node.end}; }

bool holds(IndexRange whole, IndexRange part) { return whole.begin <= part.begin && part.end <= whole.end; }

// The largest node of the tree over `shards` that begins a run.
IndexRange maximal_node(IndexRange run, index_t shards) {
  IndexRange node{0, shards};
  while (node.begin != run.begin || node.end > run.end)
    node = run.begin < second_half(node).begin ? first_half(node) : second_half(node);
  return node;
}

// How many of the nodes above a node end with it, and lie within a run: so many sums can be completed when all
// up to this node are there.
index_t sums_completed_by(IndexRange node, IndexRange within, index_t shards) {
  index_t count = 0;
  for (IndexRange above{0, shards}; above != node;) {
    if (above.end == node.end && holds(within, above)) ++count;
    above = node.begin < second_half(above).begin ? first_half(above) : second_half(above);
  }
  return count;
}

// Where slices of a row of parameters begin: of the places where one may, those next to equal parts.
Vector<index_t> cut(const std::vector<ParameterSlice>& parameters, index_t width, int ranks) {
  Vector<index_t> cuts;
  std::size_t p = 0;
  index_t begin = 0;  // of parameter p
  for (int rank = 0; rank < ranks; ++rank) {
    const index_t wanted = partition_begin(width, ranks, rank);
    while (p < parameters.size() && begin + parameters[p].count <= wanted) begin += parameters[p++].count;
    if (p == parameters.size()) {
      cuts.push_back(begin);
      continue;
    }
    const index_t below = (wanted - begin) / ops::squared_piece * ops::squared_piece;
    const index_t above = std::min(below + ops::squared_piece, parameters[p].count);
    cuts.push_back(begin + (wanted - begin - below < begin + above - wanted ? below : above));
  }
  cuts.push_back(width);
  return cuts;
}

}  // namespace

GradientTree::GradientTree(comm::DataPlane* data_plane, std::vector<ParameterSlice> parameters,
                           device::MemoryKind memory)
    : data_plane_(data_plane),
      rank_(data_plane != nullptr ? data_plane->rank().value : 0),
      ranks_(data_plane != nullptr ? data_plane->size() : 1),
      parameters_(std::move(parameters)) {
  for (const ParameterSlice& parameter : parameters_) width_ += parameter.count;
  cuts_ = cut(parameters_, width_, ranks_);
  const IndexRange mine = slice_of(rank_);
  gradient_ = device::Buffer<float>(mine.size(), memory);
  Vector<ops::Segment> of_slices, of_parameters;
  index_t begin = 0;  // of the parameter
  for (const ParameterSlice& parameter : parameters_) {
    const index_t first = std::max(begin, mine.begin);
    const index_t count = std::min(begin + parameter.count, mine.end) - first;
    if (count > 0) {
      ParameterSlice slice = parameter;
      slice.first_element = first - begin;
      slice.value += slice.first_element;
      slice.gradient = gradient_.data() + (first - mine.begin);
      slice.count = count;
      of_slices.push_back({slice.value - parameters_.front().value, first, count});
      slices_.push_back(std::move(slice));
    }
    of_parameters.push_back({parameter.value - parameters_.front().value, begin, parameter.count});
    begin += parameter.count;
  }
  if (ranks_ > 1) {
    of_slices_ = ops::Segments(memory, of_slices);
    of_parameters_ = ops::Segments(memory, of_parameters);
  }
  for (Layout* layout : {&sent_, &received_}) {
    layout->rows.resize(ranks_);
    layout->first_row.resize(ranks_);
  }
}

// Of all ranks: the nodes of its run that lie in no other node of it.
Vector<GradientTree::Node> GradientTree::nodes_of(index_t shards, int ranks) {
  Vector<Node> nodes;
  for (int rank = 0; rank < ranks; ++rank) {
    IndexRange run = partition(shards, ranks, rank);
    for (; !run.empty(); run.begin = nodes.back().shards.end)
      nodes.push_back({rank, maximal_node(run, shards)});
  }
  return nodes;
}

double GradientTree::sent_rows(index_t shards, int ranks) {
  const double parts = ranks;
  // To each of the others its part of every node; the own part of the values to each of the others.
  return (static_cast<double>(std::ssize(nodes_of(shards, ranks))) / parts + 1.0) * (1.0 - 1.0 / parts);
}

void GradientTree::plan(index_t shards, index_t at_once) {
  shards_ = shards;
  run_ = partition(shards, ranks_, rank_);
  nodes_ = nodes_of(shards, ranks_);
  node_begin_.assign(ranks_ + 1, 0);
  for (const Node& node : nodes_) ++node_begin_[node.rank + 1];
  turns_ = std::ranges::max(node_begin_);
  std::partial_sum(node_begin_.begin(), node_begin_.end(), node_begin_.begin());
  at_once_ = at_once;
  room_count_ = rooms_of(run_, shards, at_once);
}

index_t GradientTree::rooms_of(IndexRange run, index_t shards, index_t at_once) {
  index_t rooms = 1;
  index_t sums = 0;
  for (index_t shard = 0; shard < run.size(); ++shard) {
    if (shard % at_once == 0) rooms = std::max(rooms, sums + std::min(at_once, run.size() - shard));
    sums += 1 - sums_completed_by({run.begin + shard, run.begin + shard + 1}, run, shards);
  }
  return rooms;
}

// And for what arrives, a slice of each node.
double GradientTree::rooms(index_t shards, int ranks, int rank, index_t threads) {
  const double arrived = static_cast<double>(std::ssize(nodes_of(shards, ranks))) / ranks;
  return static_cast<double>(rooms_of(partition(shards, ranks, rank), shards, threads)) +
         (ranks == 1 ? 0.0 : arrived);
}

void GradientTree::begin(const Pass& pass) {
  const index_t shards = pass.tiles().total_count();
  const bool at_once = pass.context.device() == device::DeviceKind::cuda;
  begin(pass, shards, at_once ? std::max<index_t>(shards, 1) : pass.context.pool().size());
  SY_EXPECTS(pass.tiles().local_count() == run_.size(), "{} tiles for {} shards", pass.tiles().local_count(),
             run_.size());
}

void GradientTree::begin(const Pass& pass, index_t shards, index_t at_once) {
  if (shards != shards_ || at_once != at_once_) plan(shards, at_once);
  rooms_ = pass.workspace().allocate<float>(room_count_ * width_);
}

void GradientTree::free_all_rooms() {
  sums_.clear();
  free_.clear();
  for (index_t i = room_count_; i-- > 0;) free_.push_back(i);
}

void GradientTree::take_rooms(index_t first) {
  taken_.clear();
  for (index_t shard = first; shard < std::min(first + at_once_, run_.size()); ++shard) {
    taken_.push_back(free_.back());
    free_.pop_back();
  }
}

void GradientTree::join(device::Context& context, index_t first, IndexRange columns) {
  const auto part = [&](index_t i) { return room(i).subspan(columns.begin, columns.size()); };
  for (index_t shard = run_.begin + first; const index_t taken : taken_) {
    sums_.push_back(taken);
    for (index_t left = sums_completed_by({shard, shard + 1}, run_, shards_); left > 0; --left) {
      const index_t right = sums_.back();
      sums_.pop_back();
      ops::add_to(context, part(right), part(sums_.back()));
      free_.push_back(right);
    }
    ++shard;
  }
}

void GradientTree::join_all(device::Context& context, IndexRange columns) {
  sums_.clear();
  for (index_t i = node_begin_[rank_]; i < node_begin_[rank_ + 1]; ++i) {
    const IndexRange node = nodes_[i].shards;
    const index_t first = node.begin - run_.begin;
    sums_.push_back(first);
    float* const sums = room(first).data() + columns.begin;
    if (node.size() > 1)
      ops::sum_partials(context, {sums, node.size(), columns.size(), width_}, {sums, columns.size()});
  }
}

// Node `turn` of each rank, to all: its slices.
void GradientTree::exchange(device::Context& context, index_t turn, Span<float> arrived) {
  const auto has = [&](int rank) { return turn < node_begin_[rank + 1] - node_begin_[rank]; };
  const index_t slice = slice_of(rank_).size();
  for (int rank = 0; rank < ranks_; ++rank) {
    const IndexRange theirs = slice_of(rank);
    const bool other = rank != rank_;
    sent_.rows[rank] = other && has(rank_) ? theirs.size() : 0;
    sent_.first_row[rank] = theirs.begin;
    received_.rows[rank] = other && has(rank) ? slice : 0;
    received_.first_row[rank] = (node_begin_[rank] + turn) * slice;
  }
  data_plane_->all_to_all_rows<float>(context, has(rank_) ? room(sums_[turn]).data() : nullptr,
                                      {sent_.rows, sent_.first_row}, arrived.data(),
                                      {received_.rows, received_.first_row}, 1);
}

void GradientTree::reduce(const Pass& pass) {
  if (width_ == 0) return;
  const IndexRange mine = slice_of(rank_);
  Span<float> arrived;
  if (ranks_ > 1) {
    arrived = pass.workspace().allocate<float>(std::ssize(nodes_) * mine.size());
    for (index_t turn = 0; turn < turns_; ++turn) exchange(pass.context, turn, arrived);
  }
  finishing_.clear();
  for (index_t i = 0; i < std::ssize(nodes_); ++i) {
    const Node& node = nodes_[i];
    finishing_.push_back(node.rank == rank_
                             ? room(sums_[i - node_begin_[rank_]]).subspan(mine.begin, mine.size())
                             : arrived.subspan(i * mine.size(), mine.size()));
    for (index_t left = sums_completed_by(node.shards, {0, shards_}, shards_); left > 0; --left) {
      const Span<float> right = finishing_.back();
      finishing_.pop_back();
      ops::add_to(pass.context, right, finishing_.back());
    }
  }
  if (pass.batch.is_first_part)
    device::copy_on_device<float>(pass.context, finishing_.back(), gradient_.span());
  else
    ops::add_to(pass.context, finishing_.back(), gradient_.span());
}

void GradientTree::gather_updated_values(device::Context& context) {
  if (width_ == 0 || ranks_ == 1) return;
  const device::Workspace::Mark before = context.workspace().mark();
  const Span<float> row = context.workspace().allocate<float>(width_);
  const IndexRange mine = slice_of(rank_);
  float* const values = parameters_.front().value;
  of_slices_.copy(context, values, row.data());
  for (int rank = 0; rank < ranks_; ++rank) sent_.rows[rank] = slice_of(rank).size();
  data_plane_->all_gather_rows<float>(context, row.subspan(mine.begin, mine.size()), row, sent_.rows, 1);
  of_parameters_.copy_back(context, row.data(), values);
  context.workspace().release(before);
}

}  // namespace switchyard::nn
