// Line plots as one self-contained SVG that reads well on light and dark pages.
#pragma once
#include <string>
#include <utility>
#include <vector>

namespace retort {

struct PlotSeries {
  std::string label;                              // in the legend once per label; empty: not in the legend
  int color = 0;                                  // any number from 0: of the palette, and beyond it
  bool dashed = false;                            // dashed and fainter
  std::vector<std::pair<double, double>> points;  // a value that is not finite interrupts the line
};

struct PlotPanel {
  std::string title, x_label;
  std::vector<PlotSeries> series;
  // Bounds that the axis never passes, whatever the margins: accuracies end at 0 and 100.
  double y_floor = -1e300, y_ceiling = 1e300;
};

// The panels side by side, one legend below, and a line of explanation if `footnote` is not empty.
std::string svg_plot(const std::string& title, const std::vector<PlotPanel>& panels,
                     const std::string& footnote);

}  // namespace retort
