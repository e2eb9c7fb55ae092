// Threads whose refusal by the system is a sentence, and how they compute.
#pragma once

#include <functional>
#include <string_view>
#include <thread>

namespace switchyard {

// Starts a thread. Throws SystemError if the system gives none; `purpose` names it: "thread 5 of 64".
std::thread start_thread(std::string_view purpose, std::function<void()> body);

// Flush-to-zero and denormals-are-zero for the calling thread. Every thread of every rank calls this before any
// arithmetic. As weights die, Adam's moments go subnormal and a step takes twice as long; set on some threads
// only, it breaks equal bits.
void flush_denormals_to_zero();

}  // namespace switchyard
