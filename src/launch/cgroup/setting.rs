//! Limits as the files of a control group have them.

use std::io;

use super::refusal::unsupported;
use crate::launch::limits::Limit;

/// Which controller sets a limit, with version 1 or 2, and what to write where.
pub(super) struct Setting {
    pub(super) controller: &'static str,
    /// File, text, in order.
    pub(super) writes: Vec<(&'static str, String)>,
}

impl Setting {
    pub(super) fn of(limit: &Limit, unified: bool, limits: &[(&Limit, bool)]) -> io::Result<Self> {
        let only_two =
            || unsupported("version 1 of control groups, which this machine has, does not know it");
        let number = u64::to_string;
        let (controller, writes) = match limit {
            Limit::MemoryMax(bytes) if unified => ("memory", vec![("memory.max", number(bytes))]),
            Limit::MemoryMax(bytes) => ("memory", vec![("memory.limit_in_bytes", number(bytes))]),
            Limit::MemoryHigh(bytes) if unified => ("memory", vec![("memory.high", number(bytes))]),
            Limit::SwapMax(bytes) if unified => ("memory", vec![("memory.swap.max", number(bytes))]),
            Limit::SwapMax(bytes) => {
                let memory = limits.iter().find_map(|(limit, _)| match limit {
                    Limit::MemoryMax(bytes) => Some(*bytes),
                    _ => None,
                });
                let memory = memory.ok_or_else(|| {
                    unsupported("version 1 of control groups limits swap only together with memory; add Limit::MemoryMax")
                })?;
                ("memory", vec![("memory.memsw.limit_in_bytes", memory.saturating_add(*bytes).to_string())])
            }
            Limit::OomGroup if unified => ("memory", vec![("memory.oom.group", "1".to_owned())]),
            Limit::PidsMax(processes) => ("pids", vec![("pids.max", number(processes))]),
            Limit::CpuMax { quota, period } if unified => {
                ("cpu", vec![("cpu.max", format!("{} {}", quota.as_micros(), period.as_micros()))])
            }
            Limit::CpuMax { quota, period } => {
                let period = ("cpu.cfs_period_us", period.as_micros().to_string());
                ("cpu", vec![period, ("cpu.cfs_quota_us", quota.as_micros().to_string())])
            }
            Limit::IoMax(io) if unified => {
                let text = Limit::IoMax(*io).to_string();
                ("io", vec![("io.max", text.trim_start_matches("io.max ").to_owned())])
            }
            Limit::IoMax(io) => {
                let device = format!("{}:{}", io.device.0, io.device.1);
                let files = [
                    ("blkio.throttle.read_bps_device", io.read_bytes),
                    ("blkio.throttle.write_bps_device", io.write_bytes),
                    ("blkio.throttle.read_iops_device", io.read_operations),
                    ("blkio.throttle.write_iops_device", io.write_operations),
                ];
                let writes = files
                    .into_iter()
                    .filter_map(|(file, value)| Some((file, format!("{device} {}", value?))));
                ("blkio", writes.collect())
            }
            _ => return Err(only_two()),
        };
        Ok(Self { controller, writes })
    }
}
