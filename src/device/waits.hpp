// Who watches while the host waits for a device.
#pragma once

namespace switchyard::device {

// Called by the thread that waits.
class Waits {
 public:
  Waits() = default;
  Waits(const Waits&) = delete;
  Waits& operator=(const Waits&) = delete;

  // A wait that does not end at once.
  virtual void begin() = 0;
  // Again and again while it lasts: throws if there is no point in waiting.
  virtual void look() = 0;
  virtual void end() noexcept = 0;

 protected:
  ~Waits() = default;
};

}  // namespace switchyard::device
