// Threads whose refusal by the system is a sentence.
#pragma once

#include <functional>
#include <string_view>
#include <thread>

namespace switchyard {

// Starts a thread. Throws SystemError if the system gives none; `purpose` names it: "thread 5 of 64".
std::thread start_thread(std::string_view purpose, std::function<void()> body);

}  // namespace switchyard
