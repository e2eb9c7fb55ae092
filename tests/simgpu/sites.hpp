// The places of a program that call a function of a GPU: who called whom, down to main. The same in every
// process of one program, wherever its parts were loaded.
#pragma once

#include <string>

namespace simgpu {

// Of the call that is being made, as 16 hexadecimal digits.
std::string calling_site();

// The names of the functions that led to it, the nearest first: to be read by a person.
std::string describe_callers();

}  // namespace simgpu
