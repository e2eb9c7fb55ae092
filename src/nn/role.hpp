// What a parameter is for.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace switchyard::nn {

// As far as the optimiser treats it apart. Said where a parameter is made; a mixture layer says that all of its
// router's network is `router`, whatever it would be elsewhere.
enum class Role : std::uint8_t {
  weight,     // of a product: a matrix, filters
  bias,       // added to a product
  norm,       // scale and shift of a norm
  embedding,  // vectors of tokens
  router,     // any parameter of a router
};
// By role.
inline constexpr std::array<std::string_view, 5> role_names = {"weight", "bias", "norm", "embedding", "router"};

}  // namespace switchyard::nn
