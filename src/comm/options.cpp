#include "comm/options.hpp"

#include "config/field_table.hpp"

namespace switchyard::comm {
namespace {

constexpr std::array plane_words = {config::Word{PlaneKind::automatic, "auto"},
                                    config::Word{PlaneKind::mpi, "mpi"}, config::Word{PlaneKind::nccl, "nccl"}};
constexpr config::FieldTable<Options> placement{config::Role::placement};
constexpr std::array fields = {
    placement.choice<&Options::data_plane, plane_words>(
        "data_plane",
        "what carries rows between GPUs; auto: nccl where each rank has a GPU of its own, else mpi"),
    placement.choice<&Options::overlap, config::yes_no_words>(
        "overlap", "on GPUs: rows travel while what needs none of them is computed; the same bits"),
};

}  // namespace

config::Section section() { return {"comm", "how ranks send rows to each other", fields}; }

}  // namespace switchyard::comm
